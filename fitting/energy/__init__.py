"""What is minimised: a term a file, with analytic Jacobians."""
