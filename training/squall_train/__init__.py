"""Training of squall's networks: data sets made by `squall features`, PyTorch, export to ONNX."""
