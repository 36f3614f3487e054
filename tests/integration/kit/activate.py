# SPDX-License-Identifier: MIT
"""Starts a program as a service manager does that passes sockets on: activate.py FD,FD NAME:NAME PROGRAM"""
import os
import sys

numbers, names, *argv = sys.argv[1:]
high = [os.dup(int(n)) for n in numbers.split(',')]
for place, fd in enumerate(high):
    while fd < 3 + len(high):
        fd = os.dup(fd)
    high[place] = fd
for place, fd in enumerate(high):
    os.dup2(fd, 3 + place)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
os.execv(argv[0], argv)
