"""The same work in each program's own words: one listener, keep-alive to the target, X-Forwarded-For, no access log.

`tls` adds a listener with TLS and ALPN beside it, with the laboratory's certificate and each product's own defaults for
tickets and versions; `h2_target` reaches the target by HTTP/2 instead of HTTP/1.1.
"""
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

    def config(self, groups=0, targets=0, probe=None, access_log=None, tls=False, h2_target=False):
        text = "\n".join(json.loads((HERE / "poise.adapter.json").read_text())["config"]) + "\n"
        if access_log:
            text = text.replace('destination: "off"', f'destination: "{access_log}"')
        if tls:
            text = text.replace("  - name: gen\n", """  - name: secure
    address: "127.0.0.1:@HTTPS_PORT@"
    protocol: HTTPS
    tls: { certificates: [{ certificate: "@CERT@", key: "@KEY@" }] }
    timeouts: { idle: 300s, head: 300s }
    forward: origin
  - name: gen
""")
        if h2_target:
            text = text.replace("@ORIGIN_PORT@", "@ORIGIN_H2_PORT@").replace("  - name: origin\n", "  - name: origin\n    version: http2\n")
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

    def config(self, groups=0, targets=0, probe=None, access_log=None, tls=False, h2_target=False):
        secure = "    bind 127.0.0.1:@HTTPS_PORT@ backlog 4096 ssl crt @PEM@ alpn h2,http/1.1\n" if tls else ""
        server = "@ORIGIN_H2_PORT@ proto h2" if h2_target else "@ORIGIN_PORT@"
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
{secure}    option forwardfor
{rules}    default_backend origin
backend origin
    server o 127.0.0.1:{server}
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

    def config(self, groups=0, targets=0, probe=None, access_log=None, tls=False, h2_target=False):
        if groups:
            raise NotImplementedError("nginx is measured with one group only")
        if h2_target:
            raise NotImplementedError("nginx does not speak HTTP/2 to targets")
        secure = ("listen 127.0.0.1:@HTTPS_PORT@ ssl http2 backlog=4096; ssl_certificate @CERT@; ssl_certificate_key @KEY@; "
                  "ssl_protocols TLSv1.2 TLSv1.3;") if tls else ""
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
    listen 127.0.0.1:@HTTP_PORT@ backlog=4096; {secure}
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
  server {{ listen 127.0.0.1:@GEN_PORT@; default_type text/plain; location / {{ return 200 "gen@GEN@"; }} }}
}}
"""
