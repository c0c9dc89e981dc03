"""The bus over MQTT; the only folder that knows the MQTT library."""
