"""The AWS emulator's launcher and the patches it needs; runs inside the tool venv, never in the project's."""
