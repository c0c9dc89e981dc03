"""The edge agent: judges what devices are unsure of, and asks the cloud when it is unsure too."""
