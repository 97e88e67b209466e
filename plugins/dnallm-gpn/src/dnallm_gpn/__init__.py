"""GPN, GPN-MSA, GPN-Star and PhyloGPN for dnallm."""
