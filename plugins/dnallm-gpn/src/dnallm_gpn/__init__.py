"""GPN, GPN-MSA and PhyloGPN for dnallm."""
