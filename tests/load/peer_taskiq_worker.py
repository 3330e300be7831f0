"""The broker that a worker of taskiq loads, see peers.py."""

from __future__ import annotations

from peers import taskiq_broker

broker = taskiq_broker()
