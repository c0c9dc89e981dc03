"""The half of the fleet that lives on every node: what it says of itself, and the models it gets.

``report`` looks at the machine and ``telemetry`` at what the agent counts; ``store`` keeps bundles
by content address, ``transfer`` fetches them, ``keeper`` puts them to work; ``node`` joins these.
"""
