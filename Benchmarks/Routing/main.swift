/// Nanoseconds per route match against tables of growing size: `swift run -c release routing-bench`.
RoutingBenchmark.run()
