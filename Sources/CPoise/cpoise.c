// C shims: what Swift cannot import. No logic.
#include "cpoise.h"
