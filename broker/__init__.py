"""The MQTT broker: Mosquitto where it is installed, else an embedded one for loopback."""
