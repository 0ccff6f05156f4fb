"""The customer door: ``/api/v1/customer/*``."""
