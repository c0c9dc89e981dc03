"""Pictures of experiments, each as PNG and SVG; matplotlib is loaded when one is drawn."""
