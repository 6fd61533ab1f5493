"""What DataKit 1.84.1 makes of a Prometheus scrape: conf text and expositions in, points out, nothing else touched."""
