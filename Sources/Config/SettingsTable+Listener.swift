import PoiseModel

extension SettingsTable {
    static let listener = SettingsPlace<Listener>(
        "listeners[]",
        [
            .init(
                keys: ["protocol"], type: .choice(["HTTP", "HTTPS"], later: LaterFeatures.listenerProtocols),
                unset: nil,
                attribute: "Protocol", summary: "What clients speak; HTTPS needs `tls`.",
                get: { .text($0.protocolKind.rawValue) },
                set: { root, value in
                    if case .text(let text)? = value, let kind = Listener.ListenerProtocol(rawValue: text) {
                        root.protocolKind = kind
                    }
                }),
            .integer(
                "http2", "max_streams", at: \.http2.streamsMax, in: 1...10_000,
                "Requests that a client may have open at once on an HTTP/2 connection."),
            .size(
                "http2", "window", at: \.http2.windowBytesMax, in: 65_535...1 << 24,
                "Bytes of request bodies that an HTTP/2 connection may hold unread, beyond 64 KiB for each."),
            .duration(
                "http2", "ping_interval", at: \.http2.pingInterval, in: .zero ... .seconds(3600),
                "A silent HTTP/2 client with open streams is asked for a sign of life after this; 0s turns it off."),
            .choice(
                "proxy_protocol", at: \.proxyProtocol,
                "Whether every connection must start with a PROXY protocol head, v1 or v2."),
            .boolean("allow_trace", at: \.allowsTrace, "Pass TRACE on instead of answering 405."),
            .choice("error_format", at: \.errorFormat, "Body of answers that Poise makes itself."),
            .init(
                keys: ["upgrades"], type: .list(form: "a list of tokens such as websocket"), unset: nil, attribute: nil,
                summary: "Tokens of Upgrade that may pass; all others are removed. Never h2c.",
                get: { .texts($0.upgrades) },
                set: { (root: inout Listener, value: SettingValue?) throws(ConfigError) in
                    guard case .texts(let texts)? = value else { return }
                    for (index, text) in texts.enumerated() {
                        do throws(ConfigError) { try TextForm.token(text) } catch { throw error.under("[\(index)]") }
                    }
                    root.upgrades = texts.map { $0.lowercased() }
                }),
            .init(
                keys: ["trusted_proxies"], type: .list(form: "a list of ranges such as 10.0.0.0/8"), unset: nil,
                attribute: nil,
                summary: "Peers whose own forwarding fields are believed; for all others they are replaced.",
                get: { .texts($0.forwarding.trustedProxies.map(\.description)) },
                set: { (root: inout Listener, value: SettingValue?) throws(ConfigError) in
                    guard case .texts(let texts)? = value else { return }
                    var ranges: [AddressRange] = []
                    for (index, text) in texts.enumerated() {
                        do throws(ConfigError) {
                            ranges.append(try AddressRange(parsing: text))
                        } catch { throw error.under("[\(index)]") }
                    }
                    root.forwarding.trustedProxies = ranges
                }),
            .boolean(
                "forwarding", "x_forwarded", at: \.forwarding.xForwarded,
                attribute: "routing.http.xff_header_processing.mode", "Send X-Forwarded-For, -Proto and -Port."),
            .boolean("forwarding", "forwarded", at: \.forwarding.forwarded, "Send Forwarded (RFC 7239)."),
            .boolean(
                "forwarding", "request_id", at: \.forwarding.requestID,
                "Send X-Request-Id, made where none may be kept."),
            .boolean(
                "forwarding", "amazon_trace_id", at: \.forwarding.amazonTraceID,
                "Send X-Amzn-Trace-Id, made where none may be kept."),
            .duration(
                "timeouts", "head", at: \.timeouts.head, in: .milliseconds(100) ... .seconds(3600),
                "From the first byte of a request, or from accept, to the end of its head."),
            .duration(
                "timeouts", "idle", at: \.timeouts.idle, in: .milliseconds(100) ... .seconds(86_400),
                attribute: "idle_timeout.timeout_seconds", "Between two requests on a connection; varied by 10 %."),
            .duration(
                "timeouts", "connection_age", at: \.timeouts.connectionAge,
                in: .milliseconds(100) ... .seconds(604_800),
                attribute: "client_keep_alive.seconds", "After this age a connection is closed with its next response."),
            .duration(
                "timeouts", "upgraded_idle", at: \.timeouts.upgradedIdle, in: .milliseconds(100) ... .seconds(604_800),
                "A tunnel (WebSocket) without a byte in either direction."),
            .duration(
                "timeouts", "body_rate_grace", at: \.timeouts.bodyRateGrace, in: .milliseconds(100) ... .seconds(3600),
                "A body slower than min_body_rate is ended once this much time has passed."),
            .size(
                "limits", "max_head_size", at: \.limits.headBytesMax, in: 1024...1 << 17,
                "A whole request head; beyond it 431."),
            .integer(
                "limits", "max_fields", at: \.limits.fieldCountMax, in: 1...10_000,
                "Fields of a request head; beyond it 431."),
            .size(
                "limits", "max_uri_size", at: \.limits.uriBytesMax, in: 64...1 << 17,
                "The request target; beyond it 414. Not more than max_head_size."),
            .size(
                "limits", "max_body_size", at: \.limits.bodyBytesMax, in: 0...1 << 50, unset: "unlimited",
                "A request body; beyond it 413."),
            .size(
                "limits", "min_body_rate", at: \.limits.bodyRateMin, in: 0...1 << 30,
                "Bytes per second in each direction while the peer is waited for; 0B turns it off."),
            .integer(
                "limits", "max_connections", at: \.limits.connectionsMax, in: 1...10_000_000, unset: "unlimited",
                "Connections of this listener, within the limit of the process."),
            .integer(
                "limits", "max_connections_per_client", at: \.limits.connectionsPerClientMax, in: 1...10_000_000,
                unset: "unlimited", "Connections of one client address."),
        ])
}
