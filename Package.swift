// swift-tools-version: 6.2
import PackageDescription

/// Every room: Swift 6, strict memory safety, no warning left standing.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

/// A room: module `Poise<Room>` in the folder `Sources/<Room>`.
func room(_ name: String, _ imports: [String] = [], _ bindings: [Target.Dependency] = []) -> Target {
    .target(
        name: "Poise\(name)",
        dependencies: imports.map { .target(name: "Poise\($0)") } + bindings,
        path: "Sources/\(name)",
        exclude: ["README.md"],
        swiftSettings: house)
}

/// The tests of one room, in `Tests/<Room>Tests`.
func tests(_ name: String, _ imports: [String], resources: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: imports.map { .target(name: $0) },
        path: "Tests/\(name)Tests",
        exclude: resources,
        swiftSettings: house)
}

let package = Package(
    name: "poise",
    products: [.executable(name: "poise", targets: ["poise"])],
    targets: [
        // The list is an order: a room imports only rooms above it (`ArchitectureTests`).
        room("Model"),

        .systemLibrary(name: "CBytes", path: "Sources/CBytes"),
        room("Bytes", [], ["CBytes"]),

        .systemLibrary(
            name: "CYAML", path: "Sources/CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        room("YAML", ["Model"], ["CYAML"]),

        .systemLibrary(
            name: "CPCRE2", path: "Sources/CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        room("Regex", [], ["CPCRE2"]),

        room("Balancing", ["Model"]),
        room("Health", ["Model", "Regex"]),
        room("HTTP", ["Model", "Bytes"]),
        room("Routing", ["Model", "Balancing", "HTTP"]),
        room("Packets", ["Model"]),

        .target(name: "CPoise", path: "Sources/CPoise"),
        room("Platform", ["Model"], ["CPoise"]),
        room("Loop", ["Model", "Platform"], ["CPoise"]),
        room("Live", ["Model", "Platform"], ["CPoise"]),

        .systemLibrary(
            name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        room("TLS", ["Model", "Platform", "Loop"], ["COpenSSL"]),

        room("HTTPService", ["Model", "HTTP", "Platform", "Loop", "TLS"]),
        room(
            "Proxy",
            ["Model", "Balancing", "Health", "HTTP", "Routing", "Packets", "Platform", "Loop", "TLS", "Live"]),

        room("Config", ["Model", "YAML", "Regex"]),
        room("Telemetry", ["Model", "Health", "HTTP", "Routing", "Packets", "Platform", "TLS", "Live", "Proxy"]),
        room(
            "Control",
            [
                "Model", "Regex", "Balancing", "Health", "HTTP", "Routing", "Packets", "Platform", "Loop", "TLS",
                "Live",
                "HTTPService", "Proxy", "Config", "Telemetry",
            ]),
        .executableTarget(
            name: "poise",
            dependencies: [
                "PoiseModel", "PoiseHTTP", "PoisePlatform", "PoiseLoop", "PoiseTLS", "PoiseHTTPService", "PoiseConfig",
                "PoiseTelemetry", "PoiseControl",
            ],
            path: "Sources/poise",
            exclude: ["README.md"],
            swiftSettings: house),

        // ns per pick at 2...10,000 targets: `swift run -c release balancing-bench`.
        .executableTarget(
            name: "balancing-bench",
            dependencies: ["PoiseModel", "PoiseBalancing"],
            path: "Benchmarks/Balancing",
            swiftSettings: house),
        // Algorithms against slow, failing, cold and unequal targets: `make simulation`.
        .executableTarget(
            name: "balancing-simulation",
            dependencies: ["PoiseModel", "PoiseBalancing", "PoiseHealth"],
            path: "Benchmarks/Simulation",
            swiftSettings: house),
        .executableTarget(
            name: "routing-bench", dependencies: ["PoiseModel", "PoiseRouting"], path: "Benchmarks/Routing",
            swiftSettings: house),
        // Instructions per head: `Benchmarks/Codec/instructions.sh`.
        .executableTarget(
            name: "codec-bench", dependencies: ["PoiseModel", "PoiseHTTP", "PoiseRouting", "PoiseLoop"],
            path: "Benchmarks/Codec", exclude: ["instructions.sh"], swiftSettings: house),
        // The HTTP codecs behind standard input and output, for Tests/Differential. Not a product.
        .executableTarget(
            name: "codec-driver",
            dependencies: ["PoiseModel", "PoiseHTTP"],
            path: "Tests/Differential/Driver",
            swiftSettings: house),

        // ns per access-log record, worker's side and writer's side: `swift run -c release log-bench`.
        .executableTarget(
            name: "log-bench",
            dependencies: ["PoiseModel", "PoiseHTTP", "PoisePlatform", "PoiseLive", "PoiseProxy", "PoiseTelemetry"],
            path: "Benchmarks/Log", swiftSettings: house),
        // Memory, handshakes, records and certificates of TLS: `swift run -c release tls-bench`.
        .executableTarget(
            name: "tls-bench", dependencies: ["COpenSSL", "PoiseModel", "PoisePlatform", "PoiseLoop", "PoiseTLS"],
            path: "Benchmarks/TLS", swiftSettings: house),
        // A loop on a thread of its own, for tests of `async` code.
        .target(
            name: "PoiseLoopSupport", dependencies: ["PoisePlatform", "PoiseLoop"], path: "Tests/LoopSupport",
            swiftSettings: house),
        // Sockets, a network and a clock that exist only in the process, all from one seed. For tests.
        .target(
            name: "PoiseSimulation", dependencies: ["PoiseModel", "PoisePlatform", "PoiseLoop"],
            path: "Tests/SimulatedNetwork", swiftSettings: house),

        tests("Architecture", []),
        tests("Model", ["PoiseModel"]),
        tests("Bytes", ["PoiseBytes"]),
        tests("YAML", ["PoiseModel", "PoiseYAML"]),
        tests("Regex", ["PoiseRegex"]),
        tests("Balancing", ["PoiseModel", "PoiseBalancing"]),
        tests("BalancingSimulation", ["PoiseModel", "balancing-simulation"]),
        tests("Health", ["PoiseModel", "PoiseRegex", "PoiseHealth"]),
        tests("HTTP", ["PoiseModel", "PoiseHTTP"]),
        tests("Routing", ["PoiseModel", "PoiseHTTP", "PoiseRouting"]),
        tests("Packets", ["PoiseModel", "PoisePackets"]),
        tests("Platform", ["PoiseModel", "PoisePlatform"]),
        tests("Loop", ["PoiseModel", "PoisePlatform", "PoiseLoop", "PoiseLoopSupport"]),
        tests("Live", ["PoisePlatform", "PoiseLive"]),
        tests("TLS", ["PoiseModel", "PoisePlatform", "PoiseLoop", "PoiseTLS", "COpenSSL"]),
        tests(
            "HTTPService",
            [
                "PoiseModel", "PoiseHTTP", "PoisePlatform", "PoiseLoop", "PoiseTLS", "PoiseHTTPService",
                "PoiseLoopSupport",
            ]),
        tests(
            "Control",
            [
                "PoiseModel", "PoiseBalancing", "PoiseHealth", "PoiseHTTP", "PoisePackets", "PoisePlatform",
                "PoiseLoop", "PoiseLive", "PoiseTLS", "PoiseHTTPService", "PoiseProxy", "PoiseConfig", "PoiseControl",
                "PoiseLoopSupport", "PoiseSimulation",
            ]),
        tests(
            "Telemetry",
            [
                "PoiseModel", "PoiseBalancing", "PoiseHealth", "PoiseHTTP", "PoisePackets", "PoiseLive",
                "PoisePlatform",
                "PoiseProxy", "PoiseTelemetry",
            ]),
        tests("Config", ["PoiseModel", "PoiseYAML", "PoiseConfig"], resources: ["Fixtures"]),
        // The tests of Proxy: whole workers between simulated clients and targets.
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "PoiseModel", "PoiseBalancing", "PoiseHealth", "PoisePlatform", "PoiseLoop", "PoiseLive", "PoiseProxy",
                "PoiseControl", "PoiseSimulation",
            ],
            path: "Tests/Simulation", exclude: ["README.md"], swiftSettings: house),
        // The fuzz targets without a fuzzer: every seed once.
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "PoiseModel", "PoiseHealth", "PoiseHTTP", "PoiseRouting", "PoisePackets", "PoisePlatform", "PoiseLoop",
                "PoiseYAML", "PoiseConfig", "PoiseTLS",
            ],
            path: "Fuzz", exclude: ["README.md", "Seeds", "build.sh", "run.sh"], swiftSettings: house),
    ]
)
