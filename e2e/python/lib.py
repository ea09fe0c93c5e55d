"""What the scripts share: the harness's environment, and a line of JSON per event."""
import json
import os
import sys


def env(name):
    return os.environ[name]


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def heard():
    """Waits for the harness to write a line."""
    return sys.stdin.readline().strip()
