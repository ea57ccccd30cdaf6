"""Who asks, whether it is true, and what he may do on a shared host (`security.md`)."""
