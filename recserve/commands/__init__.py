"""The commands of ``recserve``, one file each."""
