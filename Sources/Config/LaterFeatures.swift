/// Words of features that this version does not have. They are refused by name, so that nobody takes a setting that
/// is read by nothing for one that works.
enum LaterFeatures {
    static let listenerProtocols = [
        "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC", "GENEVE", "HTTP2", "HTTP3",
    ]
    static let loadBalancerTypes = ["network", "gateway", "classic"]
    static let algorithms = [
        "random", "weighted_random", "least_outstanding_requests", "least_time", "ewma", "peak_ewma", "ip_hash",
        "uri_hash",
        "header_hash", "cookie_hash", "consistent_hash", "maglev", "ring_hash", "rendezvous", "sed", "nq", "lblc",
        "lblcr", "dh",
        "sh", "fo", "ovf", "mh", "twos", "first", "sticky",
    ]
    static let healthCheckProtocols = [
        "HTTPS", "HTTP2", "GRPC", "TLS", "UDP", "ICMP", "PING", "DNS", "EXEC", "SMTP", "REDIS", "MYSQL", "PGSQL",
        "LDAP", "AGENT",
    ]

    static let top: Set<String> = [
        "certificates", "tls", "discovery", "dns", "vrrp", "failover", "scaling", "cluster", "store", "acme", "geoip",
        "waf",
        "hooks", "traces", "nameserver",
    ]
    static let process: Set<String> = ["cpu_affinity", "chroot", "upgrade"]
    static let logs: Set<String> = ["error", "traces", "syslog", "health"]
    static let listener: Set<String> = [
        "certificates", "certificate", "tls", "ssl_policy", "tls_policy", "alpn", "alpn_policy",
        "mutual_authentication", "http2",
        "http3", "compression", "cache", "rate_limit", "transforms", "stickiness", "headers", "hsts", "waf",
        "tcp_idle_timeout",
    ]
    static let loadBalancer: Set<String> = [
        "scheme", "subnets", "security_groups", "cross_zone", "addresses", "ip_address_type", "deletion_protection",
        "zones",
    ]
    static let rule: Set<String> = [
        "authenticate_oidc", "authenticate_cognito", "jwt_validation", "mirror", "transforms", "host_header_rewrite",
        "url_rewrite",
        "rate_limit", "forward_auth", "headers", "cache", "queue", "priority",
    ]
    static let condition: Set<String> = [
        "header", "headers", "method", "query", "query_string", "source_ip", "cookie", "regex", "host_regex",
        "path_regex",
        "any", "all", "not", "geo", "time", "sni", "alpn", "client_certificate",
    ]
    static let forward: Set<String> = ["stickiness", "timeouts", "fallback", "mirror"]
    static let targetGroup: Set<String> = [
        "stickiness", "protocol", "protocol_version", "tls", "http2", "discovery", "scaling", "anomaly_mitigation",
        "cross_zone",
        "preserve_client_ip", "proxy_protocol", "connection_termination", "zones", "tiers", "hash_key", "cache", "port",
        "target_type", "hedging", "mirror", "panic_threshold", "min_healthy",
    ]
    static let healthCheck: Set<String> = ["tls", "exec", "send", "expect", "agent", "grpc_service", "database"]
    static let target: Set<String> = ["zone", "max_connections", "tier", "name", "tls", "slow_start"]
}
