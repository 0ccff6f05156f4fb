"""The infrastructure as code: it describes what runs, and imports nothing of what runs."""

from infra.toolchain import use_bundled_node

use_bundled_node()  # before any module of this package imports aws_cdk, which starts Node on import
