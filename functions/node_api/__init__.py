"""HTTP API ``ANY /api/v1/node/{proxy+}``: the door that home machines call."""
