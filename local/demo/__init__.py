"""The main job from end to end: a stack, two nodes, a customer who trains a model, and what came of it."""
