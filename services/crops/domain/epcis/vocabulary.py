"""Standard vocabulary of CBV 2.0: bare names, CURIEs, web URIs and URNs of the same term."""

from dataclasses import dataclass
from typing import Final

from services.crops.domain.epcis.context import NO_CONTEXT, Context
from services.crops.domain.epcis.uri import is_uri

_CBV: Final = "https://ref.gs1.org/cbv/"
_GS1: Final = "https://gs1.org/voc/"
_NOT_CBV: Final = ("urn:epcglobal:cbv", "http://ns.gs1.org/cbv/", "https://ns.gs1.org/cbv/")
_NOT_GS1: Final = (
    "http://gs1.org/voc/",
    "https://gs1.org/voc/",
    "http://www.gs1.org/voc/",
    "https://www.gs1.org/voc/",
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One list of terms.

    Args:
        name: what the list is of, for messages.
        web: beginning of a term's web URI.
        urn: beginning of a term's URN before EPCIS 2.0; "" when there was none.
        excluded: beginnings that the official JSON schema refuses: these terms are written bare.
        terms: the bare names.
    """

    name: str
    web: str
    urn: str
    excluded: tuple[str, ...]
    terms: frozenset[str]

    def accepts(self, text: str) -> bool:
        """Whether a document may write this: a bare standard name, or the URI or CURIE of a private term."""
        return text in self.terms or (is_uri(text) and not text.startswith(self.excluded))

    def uri(self, text: str, context: Context = NO_CONTEXT) -> str:
        """The term's full URI, whichever form it came in; a private term's own URI."""
        if text in self.terms:
            return self.web + text
        if self.urn and text.startswith(self.urn):
            return self.web + text.removeprefix(self.urn)
        return context.expand(text)

    def short(self, text: str, context: Context = NO_CONTEXT) -> str:
        """The bare name of a standard term, else the full URI; equal for every form of one term."""
        full = self.uri(text, context)
        name = full.removeprefix(self.web)
        return name if name in self.terms else full


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BIZ_STEP: Final = Vocabulary(
    "business step",
    f"{_CBV}BizStep-",
    "urn:epcglobal:cbv:bizstep:",
    _NOT_CBV,
    _words(
        "accepting arriving assembling collecting commissioning consigning creating_class_instance "
        "cycle_counting decommissioning departing destroying disassembling dispensing encoding "
        "entering_exiting holding inspecting installing killing loading other packing picking receiving "
        "removing repackaging repairing replacing reserving retail_selling sampling sensor_reporting "
        "shipping staging_outbound stock_taking stocking storing transporting unloading unpacking "
        "void_shipping"
    ),
)
DISPOSITION: Final = Vocabulary(
    "disposition",
    f"{_CBV}Disp-",
    "urn:epcglobal:cbv:disp:",
    _NOT_CBV,
    _words(
        "active available completeness_inferred completeness_verified conformant container_closed "
        "container_open damaged destroyed dispensed disposed encoded expired in_progress in_transit "
        "inactive mismatch_class mismatch_instance mismatch_quantity needs_replacement "
        "no_pedigree_match non_conformant non_sellable_other partially_dispensed recalled reserved "
        "retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown"
    ),
)
BIZ_TRANSACTION_TYPE: Final = Vocabulary(
    "business transaction type",
    f"{_CBV}BTT-",
    "urn:epcglobal:cbv:btt:",
    _NOT_CBV,
    _words("bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"),
)
SOURCE_DEST_TYPE: Final = Vocabulary(
    "source or destination type",
    f"{_CBV}SDT-",
    "urn:epcglobal:cbv:sdt:",
    _NOT_CBV,
    _words("owning_party possessing_party location"),
)
ERROR_REASON: Final = Vocabulary(
    "error reason", f"{_CBV}ER-", "urn:epcglobal:cbv:er:", _NOT_CBV, _words("did_not_occur incorrect_data")
)
COMPONENT: Final = Vocabulary(
    "component",
    f"{_CBV}Comp-",
    "urn:epcglobal:cbv:comp:",
    _NOT_CBV,
    _words(
        "x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting "
        "northing latitude longitude altitude"
    ),
)
SENSOR_ALERT: Final = Vocabulary(
    "sensor alert type", _GS1, "", _NOT_GS1, _words("ALARM_CONDITION ERROR_CONDITION")
)
MEASUREMENT_TYPE: Final = Vocabulary(
    "measurement type",
    _GS1,
    "",
    _NOT_GS1,
    _words(
        "AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance "
        "AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area "
        "Capacitance Conductance Conductivity Count Density Dimensionless DoseEquivalent "
        "DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent ElectricCurrentDensity "
        "ElectricFieldStrength Energy Exposure Force Frequency Illuminance Inductance Irradiance "
        "KinematicViscosity Length LinearMomentum Luminance LuminousFlux LuminousIntensity MagneticFlux "
        "MagneticFluxDensity MagneticVectorPotential Mass MassConcentration MassFlowRate "
        "MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power "
        "Pressure RadiantFlux RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity "
        "SolidAngle SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage "
        "Volume VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber"
    ),
)
