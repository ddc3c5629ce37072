import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HL7Exception;
import ca.uhn.hl7v2.HapiContext;
import ca.uhn.hl7v2.app.HL7Service;
import ca.uhn.hl7v2.llp.MinLowerLayerProtocol;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.parser.GenericModelClassFactory;
import ca.uhn.hl7v2.protocol.MetadataKeys;
import ca.uhn.hl7v2.protocol.ReceivingApplication;
import ca.uhn.hl7v2.protocol.ReceivingApplicationException;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;

/**
 * An HL7 receiver on HAPI. Usage: Receive PORT
 *
 * <p>Acknowledges each message that HAPI can parse with the acknowledgment that it makes, and
 * prints a line for each: the message as it came and its acknowledgment, both in base64. What it
 * cannot parse HAPI answers by itself, negatively, or not at all; no line is printed for it.
 */
public final class Receive implements ReceivingApplication<Message> {
    public static void main(String[] args) throws Exception {
        HapiContext context = new DefaultHapiContext();
        context.setValidationContext(ValidationContextFactory.noValidation());
        context.setModelClassFactory(new GenericModelClassFactory());
        // One byte, one character: nothing is altered, whatever MSH-18 says.
        MinLowerLayerProtocol llp = new MinLowerLayerProtocol();
        llp.setCharset(StandardCharsets.ISO_8859_1);
        context.setLowerLayerProtocol(llp);
        HL7Service server = context.newServer(Integer.parseInt(args[0]), false);
        server.registerApplication(new Receive());
        server.startAndWait();
        Thread.currentThread().join();
    }

    @Override
    public Message processMessage(Message in, Map<String, Object> meta)
            throws ReceivingApplicationException, HL7Exception {
        try {
            Message ack = in.generateACK();
            print((String) meta.get(MetadataKeys.IN_RAW_MESSAGE), ack.encode());
            return ack;
        } catch (IOException e) {
            throw new HL7Exception(e);
        }
    }

    @Override
    public boolean canProcess(Message in) {
        return true;
    }

    private static synchronized void print(String message, String ack) {
        System.out.println(base64(message) + " " + base64(ack));
        System.out.flush();
    }

    private static String base64(String s) {
        return Base64.getEncoder().encodeToString(s.getBytes(StandardCharsets.ISO_8859_1));
    }
}
