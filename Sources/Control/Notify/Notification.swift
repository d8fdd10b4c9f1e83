import PoiseModel

/// What happened, with all that a hook is told of it. A value of one moment.
struct Notification: Sendable, Equatable {
    /// Unique over hooks, tries and restarts: whoever hears it twice can tell.
    var id: String
    var event: NotifyEvent
    var group: String
    /// `nil` for what concerns the group.
    var target: String?
    /// The target's state, or who answers for the group.
    var state: String
    var previousState: String
    /// Empty for what concerns the group.
    var reason: String
    /// What was seen; empty where nobody looked.
    var evidence: String
    /// When it happened, RFC 3339.
    var since: String
    /// Usable targets of the group, and all of them, backups too.
    var healthy: Int
    var targets: Int
    /// How many should be usable; `nil` where nobody asks.
    var minimum: Int?

    /// For commands. All names are there always: a script need not ask which.
    var environment: [String: String] {
        [
            "POISE_EVENT_ID": id, "POISE_EVENT": event.rawValue, "POISE_GROUP": group, "POISE_TARGET": target ?? "",
            "POISE_STATE": state, "POISE_PREVIOUS_STATE": previousState, "POISE_REASON": reason,
            "POISE_EVIDENCE": evidence, "POISE_SINCE": since, "POISE_HEALTHY": "\(healthy)",
            "POISE_TARGETS": "\(targets)", "POISE_MINIMUM": minimum.map { "\($0)" } ?? "",
        ]
        // What a target answers may be part of the evidence, and no environment holds a NUL.
        .mapValues { $0.utf8.contains(0) ? String($0.unicodeScalars.filter { $0 != "\0" }.map(Character.init)) : $0 }
    }

    /// For webhooks: one object.
    var json: [UInt8] {
        var json = JSONText([UInt8]())
        json.beginObject()
        json.member("id", id)
        json.member("event", event.rawValue)
        json.member("group", group)
        json.key("target")
        if let target { json.string(target) } else { json.null() }
        json.member("state", state)
        json.member("previous_state", previousState)
        json.member("reason", reason)
        json.member("evidence", evidence)
        json.member("since", since)
        json.member("healthy", healthy)
        json.member("targets", targets)
        json.key("minimum")
        if let minimum { json.number(minimum) } else { json.null() }
        json.endObject()
        return json.sink
    }
}
