# SPDX-License-Identifier: MIT
"""The programs under test and their configurations: nginx, HAProxy, tidegate, for one and the same work.

All of them write one line of access log per request to a file, as they would in service. For short answers
nginx was measured with its buffering left on too and does not get cheaper, so one configuration serves all
loads. Towards an origin behind TLS all verify the same certificate against the same file of authorities and
reuse sessions.
"""
import os
import subprocess

from rig import PATH, children, free_port, rss_kb

NGINX = """
daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}.err warn; {user}
events {{ worker_connections {sockets}; }}
http {{
  access_log {log};
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  client_max_body_size 64m; client_body_buffer_size {body_buffer};
  keepalive_requests 1000000000; keepalive_timeout 300s;
  upstream origin {{
    server 127.0.0.1:{origin}; keepalive 1100; keepalive_requests 1000000000; keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass {scheme}://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; {tls}
    }}
  }}
}}
"""
NGINX_TLS = """
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name {host};
      proxy_ssl_server_name on; proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""

HAPROXY = """
global
  nbthread 1
  maxconn {clients}
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  {no_delay}
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend bench
  bind 127.0.0.1:{port} backlog 4096
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin} {tls}
"""
HAPROXY_TLS = "ssl verify required ca-file {ca} sni str({host}) verifyhost {host} ssl-min-ver TLSv1.2"

TIDEGATE = """
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
workers: {workers}
endpoints: [{{name: origin, provider: openai, url: "{scheme}://127.0.0.1:{origin}/v1", key: none{tls}}}]
models: [{{name: "*", tiers: [[{{endpoint: origin}}]]}}]
"""
# For bench/held.py: a second dialect, and clients that rest are shown out soon.
TIDEGATE_HELD = """
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
workers: 1
timeouts: {{idle: 3s}}
endpoints:
  - {{name: origin, provider: openai, url: "{scheme}://127.0.0.1:{origin}/v1", key: none}}
  - {{name: deepseek, provider: deepseek, url: "{scheme}://127.0.0.1:{origin}", key: none}}
models:
  - {{name: deepseek, tiers: [[{{endpoint: deepseek}}]]}}
  - {{name: "*", tiers: [[{{endpoint: origin}}]]}}
"""
TIDEGATE_TLS = ', ca_file: "{ca}", server_name: {host}'


def first_line(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.split("\n")[0].strip()


class Proxy:
    """One program under test. `pid` is the process that serves: nginx's worker, else the program itself.

    `name` is a program and what is particular about it: haproxy-default, tidegate-before (another build),
    tidegate-2 (two workers). `clients` is how many nginx and HAProxy shall be able to serve at a time; both
    take memory for them at once.
    """

    def __init__(self, name, rig, clients=2000, body_buffer="16k", cpus=None):
        self.name, self.rig, self.port = name, rig, free_port()
        self.clients, self.body_buffer = clients, body_buffer
        self.admin_port = free_port()
        self.log = os.path.join(rig.dir, name + ".log") if rig.access_log else "/dev/null"
        self.version, command = getattr(self, "_" + name.replace("-", "_"))()
        self.child = rig.start(command, cpus or rig.proxy_cpu, self.log, name)
        rig.wait_for(self.child, self.port, name)
        workers = children(self.child.pid) if name == "nginx" else []
        self.pid = (workers or [self.child.pid])[0]
        self.rig.ask(self.url)
        self.idle_kb = rss_kb(self.pid)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{PATH}"

    def stop(self):
        self.rig.stop(self.child)

    def _write(self, suffix, text, tls="", **more):
        path = os.path.join(self.rig.dir, self.name + suffix)
        ca, host = self.rig.ca, self.rig.host
        with open(path, "w", encoding="ascii") as f:
            f.write(text.format(port=self.port, origin=self.rig.origin_port, dir=self.rig.dir, log=self.log,
                                name=self.name, clients=self.clients, sockets=2 * self.clients + 96,
                                scheme=self.rig.scheme,
                                tls=tls.format(ca=ca, host=host) if ca else "", **more))
        return path

    def _nginx(self):
        conf = self._write(".conf", NGINX, NGINX_TLS, user="user root;" if os.geteuid() == 0 else "",
                           body_buffer=self.body_buffer)
        errors = os.path.join(self.rig.dir, "nginx.err")
        return first_line(["nginx", "-v"]), ["nginx", "-c", conf, "-e", errors]

    def _haproxy(self, no_delay="option http-no-delay"):
        conf = self._write(".cfg", HAPROXY, HAPROXY_TLS, no_delay=no_delay)
        return first_line(["haproxy", "-v"]), ["haproxy", "-db", "-f", conf]

    def _haproxy_default(self):
        return self._haproxy(no_delay="")

    def _tidegate(self, program=None, workers=1, text=TIDEGATE):
        program = program or self.rig.tidegate
        conf = self._write(".yaml", text, TIDEGATE_TLS, admin=self.admin_port, workers=workers)
        return first_line([program, "--version"]), [program, "serve", conf]

    def _tidegate_before(self):
        return self._tidegate(self.rig.before)

    def _tidegate_1(self):
        return self._tidegate()

    def _tidegate_2(self):
        return self._tidegate(workers=2)

    def _tidegate_held(self):
        return self._tidegate(text=TIDEGATE_HELD)

    def trim_log(self):
        """The log is opened for appending, so it can be emptied between two runs."""
        if self.log != "/dev/null":
            os.truncate(self.log, 0)
