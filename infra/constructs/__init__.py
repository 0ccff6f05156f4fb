"""One construct per concern; `infra.stack` puts them together and says who may use what."""
