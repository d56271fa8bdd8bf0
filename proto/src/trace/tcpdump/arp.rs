//! ARP, for IPv4 over Ethernet and whatever else claims to be it.
//!
//! Sections: RFC 826, RFC 903.
//! In: the packet behind the link header, and its length on the wire.
//! Out: `ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28`.

use super::bytes::{Captured, CutShort};
use super::line::{Address, Line, name_of};
use super::link::ETHERTYPES;
use super::put;

/// The line of an ARP packet.
pub(super) fn print(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "arp";
    let hardware = bytes.u16(0)?;
    let [h, p] = bytes.array(4)?;
    let packet = Packet {
        bytes,
        protocol: bytes.u16(2)?,
        hardware_length: u32::from(h),
        protocol_length: u32::from(p),
        operation: bytes.u16(6)?,
    };
    let _whole = bytes.slice(0, FIXED + 2 * (packet.hardware_length + packet.protocol_length))?;
    if !line.options.link_header {
        put!(line, "ARP, ");
    }
    let speaks_ipv4 = packet.is_ipv4() && packet.protocol_length == 4 && packet.hardware_length > 0;
    if line.options.verbose || !speaks_ipv4 {
        packet.print_types(line, hardware);
        if !line.options.verbose {
            put!(line, ", length {length}");
            return Ok(());
        }
        put!(line, ", ");
    }
    match name_of(OPERATIONS, packet.operation) {
        Some(name) => put!(line, "{name} "),
        None => put!(line, "Unknown ({}) ", packet.operation),
    }
    if packet.print_operation(line)? {
        put!(line, ", length {length}");
    } else {
        line.hex_and_ascii("\n\t", bytes.all());
    }
    Ok(())
}

struct Packet<'a> {
    bytes: Captured<'a>,
    protocol: u16,
    hardware_length: u32,
    protocol_length: u32,
    operation: u16,
}

impl Packet<'_> {
    fn is_ipv4(&self) -> bool {
        matches!(self.protocol, 0x0800 | 0x1000)
    }

    fn print_types(&self, line: &mut Line, hardware: u16) {
        match name_of(HARDWARE, hardware) {
            Some(name) => put!(line, "{name}"),
            None => put!(line, "Unknown Hardware ({hardware})"),
        }
        put!(line, " (len {}), ", self.hardware_length);
        match name_of(ETHERTYPES, self.protocol) {
            Some(name) => put!(line, "{name}"),
            None => put!(line, "Unknown Protocol (0x{:04x})", self.protocol),
        }
        put!(line, " (len {})", self.protocol_length);
    }

    /// Says who asks whom; false for an operation that nobody knows.
    fn print_operation(&self, line: &mut Line) -> Result<bool, CutShort> {
        match self.operation {
            REQUEST => {
                put!(line, "who-has ");
                self.print_target(line)?;
                let target = self.target_hardware()?;
                if target.iter().any(|&byte| byte != 0) {
                    put!(line, " (");
                    print_hardware(line, target);
                    put!(line, ")");
                }
                put!(line, " tell ");
                self.print_sender(line)?;
            }
            REPLY => {
                self.print_sender(line)?;
                put!(line, " is-at ");
                print_hardware(line, self.sender_hardware()?);
            }
            REVERSE_REQUEST | INVERSE_REQUEST => {
                put!(line, "who-is ");
                print_hardware(line, self.target_hardware()?);
                put!(line, " tell ");
                print_hardware(line, self.sender_hardware()?);
            }
            REVERSE_REPLY => {
                print_hardware(line, self.target_hardware()?);
                put!(line, " at ");
                self.print_target(line)?;
            }
            INVERSE_REPLY => {
                print_hardware(line, self.sender_hardware()?);
                put!(line, " at ");
                self.print_sender(line)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn sender_hardware(&self) -> Result<&[u8], CutShort> {
        self.bytes.slice(FIXED, self.hardware_length)
    }

    fn target_hardware(&self) -> Result<&[u8], CutShort> {
        self.bytes.slice(FIXED + self.hardware_length + self.protocol_length, self.hardware_length)
    }

    fn print_sender(&self, line: &mut Line) -> Result<(), CutShort> {
        self.print_address(line, FIXED + self.hardware_length)
    }

    fn print_target(&self, line: &mut Line) -> Result<(), CutShort> {
        self.print_address(line, FIXED + 2 * self.hardware_length + self.protocol_length)
    }

    fn print_address(&self, line: &mut Line, at: u32) -> Result<(), CutShort> {
        match (self.is_ipv4(), self.protocol_length) {
            (false, _) => put!(line, "<wrong proto type>"),
            (true, 4) => put!(line, "{}", Address::from(self.bytes.array::<4>(at)?)),
            (true, _) => put!(line, "<wrong len>"),
        }
        Ok(())
    }
}

fn print_hardware(line: &mut Line, address: &[u8]) {
    if address.is_empty() {
        put!(line, "<empty>");
    }
    line.link_address(address);
}

const FIXED: u32 = 8;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const REVERSE_REQUEST: u16 = 3;
const REVERSE_REPLY: u16 = 4;
const INVERSE_REQUEST: u16 = 8;
const INVERSE_REPLY: u16 = 9;
const OPERATIONS: &[(u16, &str)] = &[
    (1, "Request"),
    (2, "Reply"),
    (3, "Reverse Request"),
    (4, "Reverse Reply"),
    (8, "Inverse Request"),
    (9, "Inverse Reply"),
    (10, "NACK Reply"),
];
const HARDWARE: &[(u16, &str)] = &[
    (1, "Ethernet"),
    (6, "TokenRing"),
    (7, "ArcNet"),
    (15, "FrameRelay"),
    (19, "ATM"),
    (23, "Strip"),
    (24, "IEEE 1394"),
    (32, "InfiniBand"),
];
