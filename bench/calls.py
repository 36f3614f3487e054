# SPDX-License-Identifier: MIT
"""System calls per request and per event, counted by the kernel."""
import os
import shutil
import signal
import subprocess
import time


def count_calls(bench, load, proxy, **more):
    """System calls of the serving process during one run, counted by the kernel, and that run's units."""
    command = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(proxy.pid)]
    perf = bench.rig.spawn(command, bench.rig.client_cpu, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 5
    while not is_counting(perf.pid) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.1)
    found = bench.run(load, proxy, 0, **more)
    bench.runs.pop()  # this run pays for being counted, so its CPU time does not take part
    perf.send_signal(signal.SIGINT)
    _, out = perf.communicate(timeout=60)
    cell = out.split(",")[0]
    units = found["asked"] * (found["events"] if bench.is_stream(load) else 1)
    return (int(cell), units) if cell.isdigit() else None


def is_counting(pid):
    """Whether perf has opened its counters by now."""
    folder = f"/proc/{pid}/fd"
    return any("perf_event" in os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder))


def calls_per_unit(bench, load, proxy):
    """What one more request or event costs in system calls: two runs of different length, so that what a
    connection costs once falls out."""
    short = count_calls(bench, load, proxy, window_ms=600)
    long = count_calls(bench, load, proxy, window_ms=2600)
    if short is None or long is None or long[1] <= short[1]:
        return None
    return (long[0] - short[0]) / (long[1] - short[1])


def can_count_calls():
    if shutil.which("perf") is None:
        return False
    done = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "--", "true"], capture_output=True,
                          check=False)
    return done.returncode == 0
