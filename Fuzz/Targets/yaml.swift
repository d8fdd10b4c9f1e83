// rooms: Model YAML Config
import PoiseConfig
import PoiseModel

/// A configuration file of any bytes: it gives a configuration or at least one error with its place, and the canonical
/// form of an accepted one is accepted again as the same configuration.
#if FUZZER
    @_cdecl("LLVMFuzzerTestOneInput")
#endif
public func yaml(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe input(start, count)
    let loaded: LoadedConfiguration
    do {
        loaded = try ConfigLoader.load(text: bytes, name: "/fuzz.yaml")
    } catch {
        precondition(error.hasErrors && !error.render().isEmpty)
        return 0
    }
    let text = CanonicalForm.render(loaded.configuration, origins: loaded.origins)
    do {
        let again = try ConfigLoader.load(text: Array(text.utf8), name: "/canonical.yaml")
        precondition(again.configuration == loaded.configuration, "the canonical form means something else")
    } catch {
        preconditionFailure("the canonical form is refused: \(error.render())")
    }
    return 0
}
