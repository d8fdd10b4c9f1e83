"""The configuration that tests run with, and the only place that spells its keys."""
import yaml

# What a test calls a setting, and where it stands in the file.
LISTENER = {
    "head": "timeouts.head",
    "idle": "timeouts.idle",
    "age": "timeouts.connection_age",
    "upgraded_idle": "timeouts.upgraded_idle",
    "body_rate_grace": "timeouts.body_rate_grace",
    "head_bytes": "limits.head_bytes_max",
    "field_count": "limits.field_count_max",
    "uri_bytes": "limits.uri_bytes_max",
    "body_bytes": "limits.body_bytes_max",
    "body_rate": "limits.body_rate_min",
    "connections": "limits.connections_max",
    "connections_per_client": "limits.connections_per_client_max",
    "proxy_protocol": "proxy_protocol",
    "trusted": "forwarding.trusted_proxies",
    "x_forwarded": "forwarding.x_forwarded",
    "forwarded": "forwarding.forwarded",
    "request_id": "forwarding.request_id",
    "amazon_trace_id": "forwarding.amazon_trace_id",
    "trace": "allows_trace",
    "upgrades": "upgrades",
    "error_format": "error_format",
    "rules": "rules",
    "default": "default",
    "forward": "forward",
    "address": "address",
}
GROUP = {
    "targets": "targets",
    "algorithm": "algorithm",
    "health_check": "health_check",
    "passive": "passive",
    "fail_open": "fail_open",
    "sorry": "sorry_response",
    "connect": "timeouts.connect",
    "response_idle": "timeouts.response_idle",
    "keep_alive_idle": "timeouts.keep_alive_idle",
    "connections": "limits.connections_max",
    "queue": "limits.queue_max",
    "queue_timeout": "limits.queue_timeout",
    "tries": "retries.tries_max",
    "retry_on": "retries.on",
    "budget_percent": "retries.budget_percent",
    "budget_min": "retries.budget_min_per_second",
    "host_header": "host_header",
    "slow_start": "slow_start",
    "deregistration_delay": "deregistration_delay",
    "resolve_interval": "resolve_interval",
}
PROCESS = {
    "workers": "process.workers",
    "admin_socket": "process.admin.socket",
    "max_connections": "process.max_connections",
    "shutdown_deadline": "process.shutdown_deadline",
    "metrics": "process.metrics_address",
    "access_log": "logs.access",
    "access_format": "logs.access_format",
}

# A target that fails on purpose must not be ejected under the test that makes it fail.
NO_PASSIVE = {"consecutive_failures": 0}


def place(spelling, settings):
    """{"head": "1s"} → {"timeouts": {"head": "1s"}}. A setting nobody knows is the test's mistake."""
    tree = {}
    for name, value in settings.items():
        node = tree
        *way, last = spelling[name].split(".")
        for part in way:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def merge(a, b):
    for key, value in b.items():
        if isinstance(value, dict) and isinstance(a.get(key), dict):
            merge(a[key], value)
        else:
            a[key] = value
    return a


def listener(name="web", **settings):
    settings.setdefault("address", "127.0.0.1:0")
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
