import PoiseModel

/// The active checks of a group.
extension CanonicalWriter {
    mutating func writeHealthChecks(
        _ group: TargetGroup, _ baseGroup: TargetGroup, at path: String, indent: Int, listsToo: Bool
    ) {
        // A group that goes by another one has none, and says so already.
        guard group.trackedGroup == nil else { return }
        guard group.healthChecks.parts.count > 1 else {
            return writeHealthCheck(group, baseGroup, at: "\(path).health_check", indent: indent, listsToo: listsToo)
        }
        let here = "\(path).health_checks"
        line(indent, "health_checks:", at: here)
        settings(SettingsTable.healthChecks, group.healthChecks, HealthChecks(), indent + 1, here)
        line(indent + 1, "checks:")
        for (index, part) in group.healthChecks.parts.enumerated() {
            let itemPath = "\(here).checks[\(index)]"
            let draft = HealthDraft(part.check)
            line(indent + 2, "- protocol: \((draft.chosen ?? .tcp).rawValue)", at: "\(itemPath).protocol")
            settings(
                SettingsTable.healthChecksPart, part, HealthChecks.Part(HealthCheck()), indent + 3, itemPath,
                without: group.healthChecks.addsWeights ? [] : ["weight"])
            writeRows(
                draft, HealthDraft(baseGroup.healthCheck ?? HealthCheck()), itemPath, indent + 3, without: ["protocol"])
        }
    }

    private mutating func writeHealthCheck(
        _ group: TargetGroup, _ baseGroup: TargetGroup, at path: String, indent: Int, listsToo: Bool
    ) {
        let base = baseGroup.healthCheck
        guard let check = group.healthCheck else {
            if includingDefaults || base != nil { line(indent, "health_check: off", at: path, isSetting: true) }
            return
        }
        // A base that is off says nothing about the check that follows it.
        let draft = HealthDraft(check)
        let kind = draft.chosen ?? .tcp
        var baseDraft = HealthDraft(base ?? HealthCheck())
        // Where the base leaves it to the group, it follows this one's protocol.
        if baseDraft.chosen == HealthDraft.unwritten(isSecureGroup: baseGroup.tls != nil) {
            baseDraft.chosen = HealthDraft.unwritten(isSecureGroup: group.tls != nil)
        }
        section(indent, "health_check", always: base == nil) { writer in
            if base == nil, !writer.includingDefaults {
                // One key at least, or the section would be empty.
                writer.line(indent + 1, "protocol: \(kind.rawValue)", at: "\(path).protocol")
                writer.writeRows(draft, baseDraft, path, indent + 1, without: ["protocol"], listsToo: listsToo)
            } else {
                writer.writeRows(draft, baseDraft, path, indent + 1, listsToo: listsToo)
            }
        }
    }

    private mutating func writeRows(
        _ draft: HealthDraft, _ base: HealthDraft, _ path: String, _ indent: Int, without: Set<String> = [],
        listsToo: Bool = true
    ) {
        let useless = (draft.chosen?.uselessKeys ?? []).map(\.key)
        settings(SettingsTable.healthCheck, draft, base, indent, path, without: without.union(useless))
        writeProbe(draft, base, path, indent, listsToo: listsToo)
    }
}
