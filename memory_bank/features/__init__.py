"""What words and pictures mean, as vectors: the protocols, and encoders behind them."""
