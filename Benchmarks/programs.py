"""The same work in each program's own words: one listener, keep-alive to the target, X-Forwarded-For, no access log."""
import json
import pathlib

HERE = pathlib.Path(__file__).parent


def many_addresses(groups, targets):
    """groups × targets addresses of 127.0.0.0/8, each served by the one wildcard listener of the laboratory's target."""
    for g in range(groups):
        yield [f"127.{1 + (g * targets + t) // 62500}.{(g * targets + t) // 250 % 250}.{1 + (g * targets + t) % 250}"
               for t in range(targets)]


class Poise:
    name, extension, reload = "poise", "yaml", "HUP"

    def __init__(self, binary):
        self.binary = binary

    def command(self, config, folder):
        return [self.binary, "run", config]

    def config(self, groups=0, targets=0, probe=None, access_log=None):
        text = "\n".join(json.loads((HERE / "poise.adapter.json").read_text())["config"]) + "\n"
        if access_log:
            text = text.replace('destination: "off"', f'destination: "{access_log}"')
        if groups:
            check = f"{{ path: /0, interval: {probe} }}" if probe else '"off"'
            rules = "".join(f"      - {{ when: {{ path: [\"/g{g}/*\"] }}, forward: g{g} }}\n" for g in range(groups))
            text = text.replace("    forward: origin\n", "    rules:\n" + rules + "    default: { forward: origin }\n")
            for g, addresses in enumerate(many_addresses(groups, targets)):
                written = ", ".join(f'"{a}:@ORIGIN_PORT@"' for a in addresses)
                text += f"  - {{ name: g{g}, health_check: {check}, timeouts: {{ keep_alive_idle: 300s }}, targets: [{written}] }}\n"
        return text


class HAProxy:
    name, extension, reload = "haproxy", "cfg", "USR2"

    def command(self, config, folder):
        return ["/usr/sbin/haproxy", "-W", "-f", config]

    def config(self, groups=0, targets=0, probe=None, access_log=None):
        rules = "".join(f"    use_backend g{g} if {{ path_beg /g{g}/ }}\n" for g in range(groups))
        text = f"""global
    nbthread @WORKERS@
    maxconn {2000 if probe else 9700}
    stats socket @DIR@/sock level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
    http-reuse always
frontend web
    bind 127.0.0.1:@HTTP_PORT@ backlog 4096
    option forwardfor
{rules}    default_backend origin
backend origin
    server o 127.0.0.1:@ORIGIN_PORT@
frontend gen
    bind 127.0.0.1:@GEN_PORT@
    http-request return status 200 content-type text/plain string "gen@GEN@"
"""
        for g, addresses in enumerate(many_addresses(groups, targets)):
            check = f" check inter {probe}" if probe else ""
            text += f"backend g{g}\n" + ("    option httpchk GET /0\n" if probe else "")
            text += "".join(f"    server s{t} {a}:@ORIGIN_PORT@{check}\n" for t, a in enumerate(addresses))
        return text


class Nginx:
    name, extension, reload = "nginx", "conf", "HUP"

    def command(self, config, folder):
        return ["/usr/sbin/nginx", "-p", folder, "-e", folder / "error", "-c", config]

    def config(self, groups=0, targets=0, probe=None, access_log=None):
        if groups:
            raise NotImplementedError("nginx is measured with one group only")
        temporary = " ".join(f"{kind}_temp_path @DIR@/{kind};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""worker_processes @WORKERS@; daemon off; pid @DIR@/pid; error_log @DIR@/error crit;
worker_rlimit_nofile 20000; events {{ worker_connections 19000; }}
http {{
  access_log {access_log or "off"}; {temporary}
  keepalive_requests 1000000000; keepalive_timeout 300s;
  proxy_buffer_size 16k; proxy_buffers 8 16k; proxy_busy_buffers_size 32k; proxy_max_temp_file_size 0;
  upstream origin {{ server 127.0.0.1:@ORIGIN_PORT@; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 300s; }}
  server {{
    listen 127.0.0.1:@HTTP_PORT@ backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
  server {{ listen 127.0.0.1:@GEN_PORT@; default_type text/plain; location / {{ return 200 "gen@GEN@"; }} }}
}}
"""
