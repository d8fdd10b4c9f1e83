#ifndef CPOISE_H
#define CPOISE_H
#endif
