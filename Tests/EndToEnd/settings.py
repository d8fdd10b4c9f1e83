"""The configuration that tests run with, and the only place that spells its keys."""
import yaml

# What a test calls a setting, and where it stands in the file.
LISTENER = {
    "protocol": "protocol",
    "tls": "tls",
    "http2": "http2",
    "head": "timeouts.head",
    "idle": "timeouts.idle",
    "age": "timeouts.connection_age",
    "upgraded_idle": "timeouts.upgraded_idle",
    "body_rate_grace": "timeouts.body_rate_grace",
    "head_bytes": "limits.max_head_size",
    "field_count": "limits.max_fields",
    "uri_bytes": "limits.max_uri_size",
    "body_bytes": "limits.max_body_size",
    "body_rate": "limits.min_body_rate",
    "connections": "limits.max_connections",
    "connections_per_client": "limits.max_connections_per_client",
    "proxy_protocol": "proxy_protocol",
    "trusted": "trusted_proxies",
    "x_forwarded": "forwarding.x_forwarded",
    "forwarded": "forwarding.forwarded",
    "request_id": "forwarding.request_id",
    "amazon_trace_id": "forwarding.amazon_trace_id",
    "trace": "allow_trace",
    "upgrades": "upgrades",
    "error_format": "error_format",
    "rules": "rules",
    "default": "default",
    "forward": "forward",
    "address": "address",
    "protocol": "protocol",
    "certificates": "tls.certificates",
    "policy": "tls.policy",
    "alpn": "tls.alpn_policy",
    "ticket_keys": "tls.ticket_key_file",
    "version_and_cipher": "tls.version_and_cipher_headers",
    "strict_transport": "tls.strict_transport",
    "streams": "http2.max_streams",
    "window": "http2.window",
    "ping_interval": "http2.ping_interval",
}
GROUP = {
    "protocol": "protocol",
    "version": "version",
    "tls": "tls",
    "http2": "http2",
    "targets": "targets",
    "algorithm": "algorithm",
    "zone_preference": "zone_preference",
    "subset": "subset",
    "backup_group": "backup_group",
    "health_check": "health_check",
    "health_checks": "health_checks",
    "passive": "passive_checks",
    "anomaly_mitigation": "anomaly_mitigation",
    "fail_open": "fail_open",
    "sorry": "sorry_response",
    "connect": "timeouts.connect",
    "response_idle": "timeouts.response_idle",
    "keep_alive_idle": "timeouts.keep_alive_idle",
    "connections": "limits.max_connections",
    "idle_connections": "limits.max_idle_connections",
    "queue": "limits.max_queue",
    "queue_timeout": "limits.queue_timeout",
    "tries": "retries.max_tries",
    "retry_on": "retries.retry_on",
    "budget_percent": "retries.budget_percent",
    "budget_min": "retries.min_budget_per_second",
    "host_header": "host_header",
    "proxy_protocol": "proxy_protocol",
    "slow_start": "slow_start",
    "deregistration_delay": "deregistration_delay",
    "resolve_interval": "resolve_interval",
    "protocol": "protocol",
    "version": "version",
    "verify": "tls.verify",
    "authority": "tls.ca_file",
    "certificate_name": "tls.name",
    "server_name": "tls.server_name",
    "certificate": "tls.certificate",
    "policy": "tls.policy",
    "h2_connections": "http2.max_connections",
    "streams": "http2.max_streams",
    "window": "http2.window",
    "ping_interval": "http2.ping_interval",
}
PROCESS = {
    "notify": "notify",
    "workers": "process.workers",
    "zone": "process.zone",
    "node": "process.node",
    "user": "process.user",
    "admin_socket": "process.admin.socket",
    "max_connections": "process.limits.max_connections",
    "commands": "process.limits.max_commands",
    "shutdown_deadline": "process.shutdown_deadline",
    "metrics": "process.admin.metrics",
    "access_log": "logs.access.destination",
    "access_format": "logs.access.format",
    "access_ring_records": "logs.access.ring_records",
}

# A target that fails on purpose must not be ejected under the test that makes it fail.
NO_PASSIVE = {"consecutive_failures": 0}


def place(spelling, settings):
    """{"head": "1s"} → {"timeouts": {"head": "1s"}}; None leaves a setting out. One nobody knows is the test's mistake."""
    tree = {}
    for name, value in settings.items():
        if value is None:
            continue
        node = tree
        *way, last = spelling[name].split(".")
        for part in way:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def listener(name="web", **settings):
    """Certificates make it one of protocol HTTPS."""
    settings.setdefault("address", "127.0.0.1:0")
    if settings.get("certificates"):
        settings.setdefault("protocol", "HTTPS")
    return {"name": name} | place(LISTENER, settings)


def group(name, targets, **settings):
    """Targets as addresses or mappings. Active checks are off unless asked for: the target sees only traffic."""
    settings.setdefault("health_check", "off")
    settings.setdefault("passive", NO_PASSIVE)
    return {"name": name} | place(GROUP, {"targets": targets} | settings)


def configuration(listeners, groups=(), **process):
    process.setdefault("workers", 1)
    # A test that leaves an exchange unfinished need not wait for it.
    process.setdefault("shutdown_deadline", "1s")
    tree = {"version": 1} | place(PROCESS, process) | {"listeners": listeners}
    if groups:
        tree["target_groups"] = list(groups)
    return yaml.safe_dump(tree, sort_keys=False, width=1000)


def split(settings):
    """(listener's, group's) settings of one call: a name with `group_` in front is the group's."""
    ours = {k.removeprefix("group_"): v for k, v in settings.items() if k.startswith("group_")}
    return {k: v for k, v in settings.items() if not k.startswith("group_")}, ours
