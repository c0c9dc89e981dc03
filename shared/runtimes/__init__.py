"""Model engines behind one contract, a file per engine, loaded only when asked for."""
