/// Words of features that this version does not have. They are refused by name, so that nobody takes a setting that
/// is read by nothing for one that works.
enum LaterFeatures {
    static let listenerProtocols = [
        "TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC", "GENEVE", "HTTP3",
    ]
    static let targetProtocols = ["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC", "GENEVE", "GRPC", "FCGI"]
    static let loadBalancerTypes = ["network", "gateway", "classic"]
    static let algorithms = ["lblc", "lblcr", "dh", "fo", "ovf", "sticky"]
    /// Names of other products for algorithms that Poise has.
    static let algorithmsElsewhere = [
        "rr": "round_robin", "wrr": "round_robin", "roundrobin": "round_robin", "static-rr": "round_robin",
        "leastconn": "least_connections", "least_conn": "least_connections", "lc": "least_connections",
        "wlc": "least_connections", "least_request": "least_connections", "twos": "p2c", "random_choose": "p2c",
        "ewma": "least_time", "peak_ewma": "least_time", "leasttime": "least_time",
        "client_side_weighted_round_robin": "adaptive", "ip_hash": "source_hash",
        "source": "source_hash", "sh": "source_hash", "mh": "source_hash",
        "maglev": "{ type: source_hash, table: maglev }", "ring_hash": "{ type: source_hash, table: ring }",
        "consistent_hash": "{ type: source_hash, table: ring }", "hrw": "{ type: source_hash, table: rendezvous }",
        "rendezvous": "{ type: source_hash, table: rendezvous }", "uri": "{ type: hash, key: uri }",
        "uri_hash": "{ type: hash, key: uri }", "header_hash": "{ type: hash, key: header:NAME }",
        "cookie_hash": "{ type: hash, key: cookie:NAME }", "query_hash": "{ type: hash, key: query:NAME }",
    ]
    static let healthCheckProtocols = [
        "HTTP2", "UDP", "LDAP",
    ]
    /// Names of other products for checks that Poise has.
    static let healthCheckProtocolsElsewhere = [
        "ping": "ICMP", "pgsql": "POSTGRESQL", "postgres": "POSTGRESQL", "mariadb": "MYSQL", "tcp-check": "SCRIPT",
    ]

    static let top: Set<String> = [
        "certificates", "discovery", "dns", "vrrp", "failover", "scaling", "cluster", "store", "acme", "geoip",
        "waf",
        "traces", "nameserver",
    ]
    static let process: Set<String> = ["cpu_affinity", "chroot", "upgrade"]
    static let logs: Set<String> = ["error", "traces", "syslog"]
    static let listener: Set<String> = [
        "mutual_authentication", "http3", "compression", "cache", "rate_limit", "transforms", "stickiness", "headers",
        "waf",
        "tcp_idle_timeout",
    ]
    static let listenerTLS: Set<String> = [
        "client_ca", "client_certificate", "mutual_authentication", "trust_store", "revocations", "acme", "ech",
        "early_data", "session_timeout", "session_cache",
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
        "stickiness", "discovery", "scaling",
        "preserve_client_ip", "connection_termination", "cache", "port",
        "target_type", "hedging", "mirror", "panic_threshold",
    ]
    static let healthCheck: Set<String> = ["database"]
    static let target: Set<String> = ["max_connections", "name", "tls", "slow_start"]

    /// Words of other products, and of ELBv2 itself, for settings that Poise has: where they are written here.
    static let listenerElsewhere = [
        "certificates": "tls.certificates", "certificate": "tls.certificates", "ssl_certificate": "tls.certificates",
        "ssl_certificate_key": "tls.certificates[].key", "ssl_policy": "tls.policy", "tls_policy": "tls.policy",
        "ssl_protocols": "tls.policy", "ssl_ciphers": "tls.policy", "alpn": "tls.alpn_policy",
        "alpn_policy": "tls.alpn_policy", "hsts": "tls.strict_transport", "strict_transport": "tls.strict_transport",
        "ssl": "protocol: HTTPS",
    ]
    static let listenerTLSElsewhere = [
        "certificate": "certificates", "ssl_policy": "policy", "min_version": "policy", "protocols": "policy",
        "ciphers": "policy", "alpn": "alpn_policy", "hsts": "strict_transport", "key": "certificates[].key",
        "ocsp_file": "certificates[].ocsp_file", "passphrase_file": "certificates[].passphrase_file",
        "session_ticket_key": "ticket_key_file", "stapling": "certificates[].ocsp_file",
    ]
    static let targetGroupElsewhere = [
        "protocol_version": "version", "ssl": "protocol: HTTPS", "verify": "tls.verify", "ca_file": "tls.ca_file",
        "server_name": "tls.server_name", "sni": "tls.server_name", "hash_key": "algorithm.key",
        "tiers": "targets[].tier", "outlier_detection": "passive_checks", "cross_zone": "zone_preference",
        "zones": "targets[].zone",
        "zone_aware": "zone_preference", "locality": "zone_preference", "subset_size": "subset",
        "fallback": "backup_group", "backup": "backup_group",
        "proxy_protocol_v2": "proxy_protocol: v2", "send_proxy": "proxy_protocol: v1",
        "send_proxy_v2": "proxy_protocol: v2", "proxy_protocol_tlvs": "proxy_protocol.tlvs",
    ]
    static let targetTLSElsewhere = [
        "sni": "server_name", "ca": "ca_file", "certificates": "certificate", "cert": "certificate",
        "key": "certificate.key", "verify_name": "name", "ciphers": "policy", "min_version": "policy",
    ]
    static let targetElsewhere = [
        "priority": "tier", "locality": "zone", "availability_zone": "zone", "availabilityzone": "zone",
    ]
    static let topElsewhere = ["tls": "listeners[].tls"].merging(notifyElsewhere) { $1 }
}
