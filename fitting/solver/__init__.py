"""Normal equations of the energy, solved within bounds."""
