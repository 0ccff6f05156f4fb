"""Messages between the control plane and a home machine.

Changes are additive: receivers ignore fields they do not know, so an older agent keeps working against a newer control plane.
``PROTOCOL`` travels in the ``X-Gpupool-Protocol`` header and changes only when a message changes meaning.
"""

PROTOCOL = 1
PROTOCOL_HEADER = "X-Gpupool-Protocol"
