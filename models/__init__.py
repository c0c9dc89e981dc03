"""How bundles are made: training, export, quantisation and packing. Serving is not done here."""
