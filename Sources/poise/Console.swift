import PoisePlatform

/// Whole lines to the standard streams, unbuffered: a reader of a pipe sees each at once.
enum Console {
    static func print(_ text: String) { write(text, to: 1) }
    static func error(_ text: String) { write(text, to: 2) }

    private static func write(_ text: String, to descriptor: CInt) {
        let bytes = Array("\(text)\n".utf8)
        // Nobody is left to tell when the reader of our output has gone.
        try? Files.write(bytes.span, to: descriptor)
    }
}
