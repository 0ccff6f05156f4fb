"""The execution's repeated step: releases units and waits for what comes of them."""
