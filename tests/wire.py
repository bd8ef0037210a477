"""A cable between two network namespaces that can be long, lossy, thin or cut.

    python wire.py NAMESPACE ADDRESS NAMESPACE ADDRESS

What Linux has for this, `tc ... netem`, is a module that not every kernel comes with. So this
carries the packets itself, from one TUN device to another: what is lost is lost for the kernel's
own TCP, which sends it again. Lines of JSON on standard input say how the cable is from then on:

    {"delay": 0.2, "loss": 0.05, "rate": 0, "cut": false}     seconds, share, bytes a second

Ends when standard input does. Needs root.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# A queue of this length, as routers have one: what does not fit is lost. Seconds at full rate.
QUEUE = 4.0


def tun(namespace: str, address: str, peer: str) -> int:
    """Make a device in a namespace that leads to the peer; return its descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
    if libc.setns(other, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        name = f"to-{peer}"
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        for line in (
            f"address add {address} peer {peer} dev {name}",
            f"link set {name} up mtu 1400",
        ):
            subprocess.run(["ip", *line.split()], check=True)
    finally:
        libc.setns(own, CLONE_NEWNET)
        os.close(own)
        os.close(other)
    return device


def carry(ends: tuple[int, int]) -> None:
    """Carry packets both ways until standard input ends."""
    state = {"delay": 0.0, "loss": 0.0, "rate": 0.0, "cut": False}
    on_the_way: list[tuple[float, int, int, bytes]] = []
    free = {0: 0.0, 1: 0.0}
    chance, number = random.Random(0), 0
    while True:
        now = time.monotonic()
        while on_the_way and on_the_way[0][0] <= now:
            _, _, side, packet = heapq.heappop(on_the_way)
            with suppress(OSError):
                os.write(ends[1 - side], packet)
        wait = max(0.0, on_the_way[0][0] - now) if on_the_way else None
        ready, _, _ = select.select([0, *ends], [], [], wait)
        if 0 in ready:
            line = sys.stdin.readline()
            if not line:
                return
            state |= json.loads(line)
        now = time.monotonic()
        for side in (0, 1):
            if ends[side] not in ready:
                continue
            packet = os.read(ends[side], 65536)
            if state["cut"] or chance.random() < state["loss"]:
                continue
            start = now
            if state["rate"]:
                start = max(now, free[side])
                if start - now > QUEUE:
                    continue
                free[side] = start + len(packet) / state["rate"]
                start = free[side]
            number += 1
            heapq.heappush(on_the_way, (start + state["delay"], number, side, packet))


if __name__ == "__main__":
    one, address, other, peer = sys.argv[1:]
    made = tun(one, address, peer), tun(other, peer, address)
    print("up", flush=True)
    carry(made)
