"""The half of the fleet that lives on every node: what it says of itself, and the models it gets.

``machine`` looks at the computer and ``telemetry`` at what the agent counts; ``store`` keeps
bundles by content address, ``fetch`` brings them, ``keeper`` has those that the centre wants put
to work by ``at_work``; ``node`` joins these.
"""
