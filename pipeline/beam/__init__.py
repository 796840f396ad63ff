"""How a Beam job is run here, on which runner, and what its errors mean."""
