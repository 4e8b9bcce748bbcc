"""What 0-mers show in each flow: learned from wells known to take no base, taken off all wells.

Buffering, timing and temperature drift during a run, and with them what is left of the background: the same in all
wells of a region but for their time constant. The level of a flow lies near that of the flow before it, so that
few silent wells suffice.
"""

import numpy as np

FLOW_SD = 0.005
"""How much the level may change from one flow to the next, 1-mers."""

SLOPE_SD = 0.002
"""The same of its slope, 1-mers per unit of the logarithm of time constants."""

_LEAST_WELLS = 5


class ZeroLevel:
    """Follows the level of 0-mers of a region from flow to flow (a Kalman filter; Kalman 1960).

    Attributes
    ----------
    state : ndarray of shape (2,), float64
        Level at the mean time constant, and slope along its logarithm.
    """

    def __init__(self):
        self.state = np.zeros(2)
        self._covariance = np.zeros((2, 2))

    def follow(self, amplitude, place):
        """Take in the silent wells of the next flow.

        Parameters
        ----------
        amplitude : ndarray of shape (n_wells,)
            What wells show that take no base in this flow, 1-mers of a typical well.
        place : ndarray of shape (n_wells,)
            Logarithm of each well's time constant less the mean of the region.
        """
        self._covariance = self._covariance + np.diag([FLOW_SD**2, SLOPE_SD**2])
        if len(amplitude) < _LEAST_WELLS:
            return
        left = amplitude - (self.state[0] + self.state[1] * place)
        off = left - _middle(left)
        spread = 1.4826 * float(_middle(np.abs(off))) + 1e-6
        # Wells far off hold a little of everything, or stopped to be silent.
        good = np.abs(off) <= 3 * spread
        left, place = left[good], place[good].astype(left.dtype)
        weight = 1 / spread**2
        (variance, shared), (_, slope_variance) = self._covariance.tolist()
        inverse = variance * slope_variance - shared**2
        # Inverse covariance, with what the wells tell; and its inverse again.
        level = slope_variance / inverse + weight * len(left)
        slope = variance / inverse + weight * float(place @ place)
        both = -shared / inverse + weight * float(place.sum(dtype=float))
        inverse = level * slope - both**2
        self._covariance = np.array([[slope, -both], [-both, level]]) / inverse
        self.state = self.state + self._covariance @ [
            weight * float(left.sum(dtype=float)),
            weight * float(left @ place),
        ]

    def at(self, place):
        """Level of the last flow at some time constants, as `place` of `follow`: float32."""
        return (self.state[0] + self.state[1] * place).astype(np.float32)


def _middle(values):
    """Median, of an even number the upper of the two in the middle."""
    half = len(values) // 2
    return np.partition(values, half)[half]
