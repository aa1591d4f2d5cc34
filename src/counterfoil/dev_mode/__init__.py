"""What `counterfoil dev` puts around a service for integrators: a clock and answers on demand. `serve` imports none of it."""
