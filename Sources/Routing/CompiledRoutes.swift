import PoiseModel

/// What a ``RouteTable`` looks requests up in.
///
/// Rules whose first `host` condition names the same hosts form a *scope*. Hosts are looked up in one pair of tries
/// and give scopes; each scope has its own pair of tries over the paths of its rules and gives rules. So 10,000 rules
/// on 10,000 hosts, 10,000 rules on one host, and everything between cost a few short descents. A rule is filed once
/// per path, its scope once per host, never once per pair.
///
/// The lowest index found so far prunes the rest: scopes, subtrees and postings that only hold higher ones are
/// skipped. A rule's further conditions (a second `host` or `path`) are tried one by one on those few rules that have
/// got that far.
///
/// What still grows with the number of rules: patterns that share their literal end with many others (`/v?/a/*.json`,
/// `/v?/b/*.json` …) are tried one by one, in about 10 ns each.
///
/// A class, so that a table is one word: as a struct of a dozen arrays each careless copy of it costs a dozen
/// reference counts, which is more than the match.
final class CompiledRoutes: Sendable {
    let rules: [Rule]
    /// Values are scopes, numbered by their first rule.
    private let hosts: PatternForest
    private let hostTree: PatternForest.Tree
    /// One tree per scope; values are indices into `rules`.
    private let paths: PatternForest
    private let scopes: [Scope]
    private let further: FurtherConditions

    private struct Scope: Sendable {
        var firstRule: UInt32
        var tree: PatternForest.Tree
    }

    init(rules: [Rule]) {
        self.rules = rules
        let plan = RoutePlan(rules: rules)
        let further = plan.further
        var (hosts, paths) = (PatternForest(), PatternForest())
        scopes = plan.scopes.map { scope in
            let tree = paths.plant(scope.paths) { !further.exist(forRule: $0) }
            return Scope(firstRule: scope.firstRule, tree: tree)
        }
        let hostEntries = plan.scopes.enumerated().flatMap { index, scope in
            scope.hosts.map { PatternForest.Entry(pattern: $0, value: UInt32(index)) }
        }
        hostTree = hosts.plant(hostEntries) { _ in false }
        (self.hosts, self.paths, self.further) = (hosts, paths, further)
    }

    func match(host: Span<UInt8>, path: Span<UInt8>) -> Int? {
        if rules.isEmpty { return nil }
        let hasDot = host.count > 0 && host[host.count - 1] == UInt8(ascii: ".")
        let host = Subject(host.extracting(first: hasDot ? host.count - 1 : host.count), foldBit: caseBit)
        let path = Subject(path, foldBit: 0)
        var best = UInt32.max
        searchHosts(Descent(hostTree, backward: false), host, path, &best)
        searchHosts(Descent(hostTree, backward: true), host, path, &best)
        return best == .max ? nil : Int(best)
    }

    private func searchHosts(
        _ start: Descent?, _ host: borrowing Subject, _ path: borrowing Subject, _ best: inout UInt32
    ) {
        guard var descent = start else { return }
        repeat {
            let node = hosts.nodes[descent.node]
            let isAtEnd = descent.depth == host.bytes.count
            for index in Int(node.throughStart)..<Int(isAtEnd ? node.postingsEnd : node.endStart) {
                let posting = hosts.postings[index]
                let scope = scopes[Int(posting.value)]
                guard scope.firstRule < best, hosts.matches(posting, at: descent, host) else { continue }
                searchPaths(Descent(scope.tree, backward: false), host, path, &best)
                searchPaths(Descent(scope.tree, backward: true), host, path, &best)
            }
        } while hosts.step(&descent, along: host)
    }

    private func searchPaths(
        _ start: Descent?, _ host: borrowing Subject, _ path: borrowing Subject, _ best: inout UInt32
    ) {
        guard var descent = start else { return }
        repeat {
            let node = paths.nodes[descent.node]
            guard node.lowest < best else { return }
            lowest(in: Int(node.throughStart)..<Int(node.endStart), at: descent, host, path, &best)
            if descent.depth == path.bytes.count {
                lowest(in: Int(node.endStart)..<Int(node.postingsEnd), at: descent, host, path, &best)
            }
        } while paths.step(&descent, along: path)
    }

    /// Lowers `best` to the first rule in these postings, which are in ascending order, that matches.
    @inline(__always)
    private func lowest(
        in range: Range<Int>, at descent: Descent, _ host: borrowing Subject, _ path: borrowing Subject,
        _ best: inout UInt32
    ) {
        for index in range {
            let posting = paths.postings[index]
            guard posting.value < best else { return }
            if paths.matches(posting, at: descent, path), further.hold(forRule: posting.value, host, path) {
                best = posting.value
                return
            }
        }
    }
}
