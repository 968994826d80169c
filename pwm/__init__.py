"""How should the critic's loss be weighted against the policy's?"""

__version__ = "0.1.0"
